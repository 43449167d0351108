"""A process that dies between two lines, and again between two others."""

from chaos.fault import Fault, Trial


class Deaths(Fault):
    """A process dies at one point after another (`chaos.sabotage.points`); each time it is started again at once.

    `points`: each with the number of registrations that about one passing of it takes.
    """

    process: str
    points: tuple[tuple[str, int], ...]

    def prepare(self, trial: Trial) -> None:
        trial.system.sabotage(self.process, self._order(trial, *self.points[0]))

    def strike(self, trial: Trial) -> None:
        for following in [*self.points[1:], None]:
            trial.until_struck(self.process)
            self.look(trial)
            trial.system.replace(self.process, *([self._order(trial, *following)] if following else []))

    def look(self, trial: Trial) -> None:
        """Record what the dead process leaves behind, before another begins."""

    def _order(self, trial: Trial, point: str, registrations: int) -> str:
        return f"kill:{point}:{trial.rounds(registrations)}"
