"""One fit, from plan to verdict."""
