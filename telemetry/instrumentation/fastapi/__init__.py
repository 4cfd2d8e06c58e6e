"""Hooks into FastAPI and Starlette: each request and WebSocket, from outside the application's middleware."""
