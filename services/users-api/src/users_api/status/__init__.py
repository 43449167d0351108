"""How everything is doing: `GET /status`. Each part is a function, which the console and the command line call too."""
