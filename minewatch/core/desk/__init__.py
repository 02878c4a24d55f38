"""The desk: what people may ask for, who may ask for it, and the second name."""
