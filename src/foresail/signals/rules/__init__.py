"""Rules: small pure functions, each a requirement of the specification."""
