"""The step in place: a rule's own text as one loop over packed buffers."""
