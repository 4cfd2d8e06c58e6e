"""Calls to LLM vendors: what their answers and streams say, what they cost, and the decorator that measures one."""
