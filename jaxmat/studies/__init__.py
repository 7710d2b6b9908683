"""Studies that can be repeated: one module each, a function from input to results."""
