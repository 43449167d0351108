"""Pages of timeline."""

from users_api.console.forms import pages

router = pages()
