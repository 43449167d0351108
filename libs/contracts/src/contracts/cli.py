"""The command line of the contracts: publish their schemas, check a change, ask before a deploy.

It exits with 0 for yes, 1 for no, and 2 if the question can't be answered.
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from contracts import asyncapi
from contracts.catalogue.markdown import markdown
from contracts.compatibility import check, deploy, publishing
from contracts.compatibility.fetching import without_secrets
from contracts.compatibility.golden import read_golden, without_golden
from contracts.compatibility.published import read_folder, read_published
from contracts.compatibility.table import table
from contracts.errors import ContractError
from contracts.schemas import all_schemas


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command and return its exit status."""
    options = _parser().parse_args(arguments)
    try:
        return int(options.run(options))
    except (ContractError, OSError) as error:
        print(f"contracts: {error}", file=sys.stderr)
        return 2


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="contracts", description="What Herald's services agree on.")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    generate = commands.add_parser(
        "generate", help="publish the schemas of the models, unless they break a published one"
    )
    generate.add_argument("folder", type=Path, help="libs/contracts, or where schemas/ is to be made")
    generate.add_argument("--events", type=Path, help="the file for the catalogue of events")
    generate.set_defaults(run=_generate)

    checking = commands.add_parser("check", help="compare the models with all that is published; 1 if they break it")
    checking.add_argument("folder", type=Path, help="libs/contracts, or where schemas/ and golden/ are")
    checking.set_defaults(run=_check)

    deploying = commands.add_parser(
        "can-deploy", help="say whether a service fits into an environment; 1 if it doesn't"
    )
    deploying.add_argument("--service", required=True, help="such as notifier")
    deploying.add_argument("--against", required=True, help="the schemas that are published there: a folder or a URL")
    deploying.add_argument(
        "--not-yet",
        action="append",
        default=[],
        metavar="EVENT",
        help="an event that the service receives, and that no service may publish there yet",
    )
    deploying.set_defaults(run=_can_deploy)
    return parser


def _generate(options: argparse.Namespace) -> int:
    golden = read_golden(options.folder / "golden")
    findings, written = publishing.publish(options.folder)
    if findings:
        print(f"no: nothing is written\n\n{table(findings)}")
        return 1
    made = asyncapi.document(golden)
    if asyncapi.PUBLISHED.resolve().is_relative_to(options.folder.resolve()):  # rather than in some installed package
        written += publishing.write(asyncapi.PUBLISHED, publishing.as_json(made))
    if options.events:
        written += publishing.write(options.events, markdown(made))
    print("\n".join(written) or "The schemas and the documents were up to date.")
    if todo := list(without_golden(read_folder(options.folder / "schemas"), options.folder / "golden")):
        print(f"\nStill to do:\n\n{table(todo)}")
    return 0


def _check(options: argparse.Namespace) -> int:
    schemas, published = all_schemas(), read_folder(options.folder / "schemas")
    new = check.unpublished(schemas, published)
    findings = publishing.refused(options.folder, schemas, published, new)
    findings = findings or list(without_golden(published, options.folder / "golden"))
    if findings:
        print(f"no: this may not be deployed\n\n{table(findings)}")
        return 1
    lines = [f"  {revision} {reason}" for revision, reason in new.items()]
    unlisted = [f"  {name} doesn't list what is published" for name in publishing.unlisted(options.folder, published)]
    if lines := lines or unlisted:
        print("not yet: run `make contracts` to publish\n\n" + "\n".join(lines))
        return 1
    print(f"yes: compatible with {', '.join(map(str, published))}")
    return 0


def _can_deploy(options: argparse.Namespace) -> int:
    verdict = deploy.can_deploy(options.service, read_published(options.against), options.not_yet)
    where = without_secrets(options.against)
    compared = "\n".join(f"  {line}" for line in verdict.compared)
    if verdict.findings:
        print(f"no: {options.service} doesn't fit {where}\n\n{table(verdict.findings)}\n\ncompared:\n{compared}")
        return 1
    print(f"yes: {options.service} fits {where}\n\ncompared:\n{compared}")
    return 0
