"""`python -m chaos.sabotage serve|relay ...`: users-api, with orders."""

from chaos.sabotage import carry_out
from users_api.cli import app

carry_out()
app()
