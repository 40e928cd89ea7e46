"""The web page and its HTTP API. Needs the extra [web]."""
