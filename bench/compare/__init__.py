"""All platforms side by side: what an answer costs on each, how sure that is, and how far it is from physics."""
