"""A simulated LLM vendor that speaks OpenAI's and Anthropic's HTTP APIs; not a language model, and it says so.

Run it with ``uvicorn deploy.simulated_llm.main:app --port 8200``. Environment variables:

=========================== ==================================================================== =========
SIMULATED_LLM_API_KEYS      keys let in, separated by commas (or one in SIMULATED_LLM_API_KEY)   (needed)
SIMULATED_LLM_SEED          same seed, same requests: same tokens, delays, errors and texts      1
SIMULATED_LLM_SPEED         how many times faster than the real vendors                          3
SIMULATED_LLM_ERROR_RATE    share of requests that fail: 500, 503, 429, hang, dropped connection 0.01
=========================== ==================================================================== =========

What happens to a request is drawn from (seed, its content, how often this content was seen before), so it does not
depend on what else is going on. Only the vendor's prompt cache depends on order, among requests that share a beginning.

A test says what it wants in the last user message, in the image prompt, or in the file name or prompt of a recording:

======================= ==================================================================================
``[[error:503]]``       that status, always; ``[[error:503:2]]`` only the first two times the content is seen
``[[hang:30]]``         30 s of silence before anything else happens, whatever the speed
``[[tokens:120]]``      a reply of exactly 120 tokens
``[[drop]]``            the connection is closed in the middle; ``[[drop:7]]`` after seven tokens
``[[tool]]``            call the first tool given; ``[[tool:name]]`` that one
``[[language:de]]``     the language heard in a recording
======================= ==================================================================================

A request with a control never fails at random. ``GET /simulated/ledger`` is the truth about everything served (see
``ledger``), ``POST /simulated/reset`` (with a key) forgets it all. Every answer carries ``x-simulated: true``.
"""
