"""Connect a user: a login from the button to the grant, and the Authlib client."""
