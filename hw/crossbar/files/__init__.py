"""What is kept on disk of a crossbar: where every device of a chip belongs, its conductances, a whole die."""
