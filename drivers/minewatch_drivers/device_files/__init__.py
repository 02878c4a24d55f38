"""Device files: TOML → frozen data → decoders; registers in, integer and quality out."""
