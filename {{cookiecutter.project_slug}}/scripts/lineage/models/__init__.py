"""The gate, the model in production and its card, candidates."""
