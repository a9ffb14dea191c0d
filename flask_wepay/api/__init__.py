"""Call WePay: the client, the error policy, the rate limit and the connection pool."""
