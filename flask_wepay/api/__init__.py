"""Call WePay: the client, the error policy, what an answer means, and the connections."""
