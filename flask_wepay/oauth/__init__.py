"""Connect a user: the login from the button to the grant, and the Authlib client."""
