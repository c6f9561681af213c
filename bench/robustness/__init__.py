"""Disturbed images: noise, and attacks on the float network."""
