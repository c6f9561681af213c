"""`python -m bench.run --learn ...`: what machines learn, and what it takes them."""
