"""The webhook: an HTTP request to an endpoint of another company for each registration, by Standard Webhooks 1.0.0.

It has a queue and processes of its own, so an endpoint that hangs never holds a thread that sends mail. docs/webhook.md
is the public contract with receivers.
Source: https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md
"""
