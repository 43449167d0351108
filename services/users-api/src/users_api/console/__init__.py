"""The console at `/console`: pages on which people look at deliveries, and act on them.

It is an application of its own inside of users-api, with its own access, headers and error pages. It is imported when
its first page is requested: a process whose console isn't used has neither Jinja2 nor templates in memory. Its pages
call the functions that the HTTP API calls, never the API.
"""

PATH = "/console"
