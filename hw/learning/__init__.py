"""Local learning, whatever the machine: which phases are compared, and what a synapse does with the difference."""
