"""Answer browsers: the routes, the pages, and what is said instead of going on."""
