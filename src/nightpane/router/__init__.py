"""Token Machine as a proxy: OpenAI's API in front of any model, routed by what the data says."""
