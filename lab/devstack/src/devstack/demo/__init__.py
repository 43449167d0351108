"""`make demo`: Herald at work for a minute and a half, with everything going wrong that usually does.

It uses servers of its own, never those that the environment names: it empties Redis and breaks the mail server.
"""
