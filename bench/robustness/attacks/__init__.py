"""Attacks: what changes an image within a ball so that the answer is wrong."""
