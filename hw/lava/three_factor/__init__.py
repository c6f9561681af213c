"""The contrastive update of one dense link by Lava's own learning engine: what a Loihi 2 synapse can do by itself."""
