"""A simulated LLM vendor: it speaks the OpenAI and Anthropic HTTP APIs and says that it is simulated."""
