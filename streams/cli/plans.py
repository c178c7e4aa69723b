"""The commands `plan`, `accept` and `actions`."""

from typing import Annotated

import typer

from streams.cli import lazy
from streams.cli.exit_codes import Exit

Json = Annotated[bool, typer.Option("--json", help="Print JSON, for a program.")]
Reason = Annotated[str, typer.Option(help="Why, for `ordersync actions`.")]


def register(app: typer.Typer) -> None:
    """Adds the commands."""
    app.command(name="plan")(show_plan)
    app.command()(accept)
    app.command()(actions)


def show_plan(context: typer.Context, as_json: Json = False) -> None:
    """Shows what the guard holds: the changes by kind and column, samples, what is deleted, and the cost."""
    lazy.show_plans.held(lazy.plans.held(context.obj()), as_json=as_json)


def accept(
    context: typer.Context,
    plan: Annotated[str, typer.Argument(help="The id that `ordersync plan` shows.")],
    reason: Reason = "",
) -> None:
    """Accepts a plan: emits exactly its changes. What has changed since is judged anew by the next pass."""
    settings = context.obj()
    accepted = lazy.plans.accept(settings, plan, reason)
    lazy.show_plans.accepted(accepted)
    if not accepted.stand and not accepted.plan.lost:
        raise typer.Exit(Exit.WRONG)


def actions(
    context: typer.Context,
    limit: Annotated[int, typer.Option(min=1, help="At most this number of actions.")] = 40,
    as_json: Json = False,
) -> None:
    """Shows what people told ordersync to do: who, when, why, with what effect."""
    lazy.show_plans.actions(lazy.plans.actions(context.obj(), limit), as_json=as_json)


def accept_held(context: typer.Context) -> None:
    """`detect --accept`: runs a pass; what it holds is accepted if a person says so now, or has seen that very plan."""
    settings = context.obj()
    shown = lazy.plans.seen(settings)
    report = lazy.detect.detect(settings, None)
    if report.held is None or report.plan is None:
        lazy.show.detected(report)
        raise typer.Exit(Exit.DONE if report.held is None else Exit.PERSON)
    plan_id: str = report.plan
    lazy.show_plans.held(lazy.plans.held(settings), as_json=False)
    if lazy.show_plans.asks():
        if not typer.confirm(f"Accept plan {plan_id}?"):
            raise typer.Exit(Exit.PERSON)
    elif plan_id != shown:
        lazy.show.plain(f"not accepted: nobody has seen this plan before. If it is right: ordersync accept {plan_id}")
        raise typer.Exit(Exit.PERSON)
    lazy.show_plans.accepted(lazy.plans.accept(settings, plan_id))
