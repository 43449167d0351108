from notifier.senders.smtp import Sender as Sender  # noqa: D100, PLC0414  # `smtps://`: TLS from the first byte
