"""What `omnisync personalize` is made of: a clip of a person in, an adapter of the denoiser out."""
