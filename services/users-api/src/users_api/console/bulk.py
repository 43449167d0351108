"""Pages of bulk."""

from users_api.console.forms import pages

router = pages()
