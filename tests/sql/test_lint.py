"""Every portable statement stays in the subset of SQL that SQLite and SQL Server read alike.

The parser is lenient, so `problems` walks both trees and the text too; it has to catch the lines of unportable.txt and
to pass those of portable.txt. A block marked `-- engine:` only has to be one statement of that engine.
"""

import re
from collections.abc import Iterator
from pathlib import Path

import sqlglot
from sqlglot import exp

import sql

DIALECTS = {"sqlite": "sqlite", "sqlserver": "tsql"}
LONGEST = 4000  # beyond it, pyodbc's hidden describe call failed in silence on one server


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


FUNCTIONS = _words("CAST COALESCE COUNT SUM MIN MAX ROW_NUMBER NULLIF SUBSTRING TRIM REPLACE ABS ROUND")
# What may stand before a parenthesis without being a function; types are checked in CAST.
BEFORE_PARENTHESIS = _words("""
    ALL AND AS BETWEEN BIGINT BY CASE DISTINCT ELSE EXCEPT EXISTS FROM HAVING IN INT INTERSECT INTO JOIN
    NOT NVARCHAR ON OR OVER PARTITION SELECT SET THEN UNION VALUES WHEN WHERE""")
# Words of one engine only, or of two meanings.
WORDS = _words("""
    APPLY COLLATE CONFLICT CURRENT_DATE CURRENT_TIMESTAMP FALSE FETCH FILTER FULL GLOB ILIKE INDEXED IIF
    ISNULL LATERAL LIKE LIMIT MATCH MERGE MOD NATURAL NOLOCK NOTNULL NULLS OFFSET OPTION OUTPUT PERCENT
    PIVOT REGEXP RETURNING RIGHT ROWID TIES TOP TRUE USING WINDOW WITH""")
# Reserved in T-SQL and likely as a name: to be written in brackets.
RESERVED = _words("""
    BACKUP BREAK BROWSE BULK CHECK CLOSE COLUMN COMMIT CONSTRAINT CURRENT CURSOR DATABASE DEFAULT DENY
    DISK DROP DUMP EXTERNAL FILE FUNCTION GROUP IDENTITY INDEX KEY KILL LOAD NATIONAL OF OFF OPEN ORDER
    PLAN PRIMARY PRINT PROCEDURE PUBLIC READ REFERENCES REPLICATION RESTORE RETURN REVERT RULE SAVE
    SCHEMA STATISTICS TABLE TRAN TRANSACTION TRIGGER UNIQUE USE USER VALUES VIEW WHILE""")
BANNED: dict[type[exp.Expr], str] = {
    exp.Limit: "a row limit", exp.Fetch: "a row limit", exp.Offset: "OFFSET", exp.DPipe: "||",
    exp.Returning: "RETURNING", exp.OnConflict: "ON CONFLICT", exp.Boolean: "TRUE or FALSE",
    exp.National: "N''",
    exp.With: "WITH", exp.Hint: "a hint", exp.WithTableHint: "a hint", exp.Collate: "COLLATE",
    exp.HexString: "a hex literal", exp.NullSafeEQ: "a null-safe comparison",
    exp.NullSafeNEQ: "a null-safe comparison", exp.Lateral: "LATERAL or APPLY", exp.Into: "SELECT INTO",
    exp.Greatest: "MAX of several", exp.Least: "MIN of several", exp.Command: "not understood",
}  # fmt: skip


def problems(text: str) -> list[str]:
    """The reasons why a statement may differ on the two engines; empty for a portable one."""
    found = [*_of_text(text)]
    for engine, dialect in DIALECTS.items():
        try:
            trees = sqlglot.parse(text, read=dialect)
        except sqlglot.errors.SqlglotError as error:
            found.append(f"{engine} cannot read it: {str(error).splitlines()[0]}")
            continue
        if len(trees) != 1 or trees[0] is None:
            found.append("not one statement")
        found += [problem for tree in trees if tree for node in tree.walk() for problem in _of_node(node)]
    return list(dict.fromkeys(found))


def _of_text(text: str) -> Iterator[str]:
    masked = re.sub(r"\[[^\]]*\]", "[x]", re.sub(r"'(?:[^']|'')*'", "''", text))
    if len(text) >= LONGEST:
        yield "4,000 characters or more"
    if not re.match(r"(SELECT|INSERT INTO|UPDATE(?! OR\b)|DELETE FROM)\b", text):
        yield "does not begin with SELECT, INSERT INTO, UPDATE or DELETE FROM"
    if found := re.search(r"""[;"`]|--|/\*|==|\|\||[:@$]\w|\?\d|\b[NX]''|\b0x|\{""", masked):
        yield f"{found[0]} is not portable"
    calls = re.sub(r"INSERT INTO\s+\w+\s*\(", "", masked)
    for name in re.findall(r"\b([A-Za-z_]\w*)\s*\(", calls):
        if name.upper() not in FUNCTIONS | BEFORE_PARENTHESIS:
            yield f"function {name}"
    for word in re.findall(r"[A-Za-z_]\w*", masked):
        if word.upper() in WORDS:
            yield f"word {word}"


def _of_node(node: exp.Expr) -> Iterator[str]:  # noqa: C901  a table with one rule in each case
    if type(node) in BANNED:
        yield BANNED[type(node)]
    match node:
        case exp.Identifier(quoted=False) if node.name.upper() in RESERVED:
            yield f"{node.name} needs brackets"
        case exp.Identifier() if set(node.name) & set("]?{}"):
            yield f"the name {node.name!r}"
        case exp.Table() if node.args.get("db"):
            yield "a schema prefix"
        case exp.Update() if node.args.get("from_"):
            yield "UPDATE FROM"
        case exp.Table() if isinstance(node.parent, exp.Update | exp.Delete) and node.alias:
            yield "an alias of the table that is written"
        case exp.Select():
            yield from _of_select(node)
        case exp.Subquery() if isinstance(node.parent, exp.From | exp.Join) and not node.alias:
            yield "a derived table without alias"
        case exp.Values() if not isinstance(node.parent, exp.Insert):
            yield "VALUES as a table"
        case exp.Tuple() if not isinstance(node.parent, exp.Values):
            yield "a row value"
        case exp.Cast() if not re.fullmatch(r"INT|BIGINT|NVARCHAR\(\d+\)", _type(node.to)):
            yield f"CAST to {_type(node.to)}"
        case exp.Max() | exp.Min() if node.expressions:
            yield "MAX or MIN of several"
        case exp.Substring() if not node.args.get("length"):
            yield "SUBSTRING without length"
        case exp.Round() if not node.args.get("decimals"):
            yield "ROUND without places"
        case exp.Trim() if node.expression:
            yield "TRIM of given characters"
        case exp.Add() if any(isinstance(side, exp.Literal) and side.is_string for side in (node.left, node.right)):
            yield "+ joins no text in SQLite"
        case exp.Is() if not isinstance(node.expression, exp.Null):
            yield "IS with a value"
        case exp.Window() if isinstance(node.this, exp.RowNumber) and not node.args.get("order"):
            yield "ROW_NUMBER without order"
        case exp.Where() | exp.Having() if not _is_condition(node.this):
            yield "a condition that compares nothing"
        case exp.Join() if node.args.get("on") and not _is_condition(node.args["on"]):
            yield "a condition that compares nothing"
        case exp.If() if isinstance(node.parent, exp.Case) and not node.parent.this and not _is_condition(node.this):
            yield "a condition that compares nothing"


def _of_select(select: exp.Select) -> Iterator[str]:
    if select.parent and select.args.get("order"):
        yield "ORDER BY inside"
    for projection in select.expressions:
        for node in projection.walk(prune=lambda at: isinstance(at, exp.Query | exp.Case)):
            if isinstance(node, exp.Predicate | exp.Connector | exp.Not):
                yield "a comparison in a select list"
    computed = {column.alias for column in select.selects if column.alias and column.alias != column.this.name}
    for part in (select.args.get(name) for name in ("where", "group", "having")):
        for column in part.find_all(exp.Column) if part else ():
            if column.parent_select is select and not column.table and column.name in computed:
                yield f"the alias {column.name} in a condition"
    if any(isinstance(key, exp.Literal) for key in (select.args.get("group") or exp.Group()).expressions):
        yield "GROUP BY a position"


def _type(kind: exp.DataType) -> str:
    size = ",".join(part.sql() for part in kind.expressions)
    return f"{kind.this.value}({size})" if size else kind.this.value


def _is_condition(node: exp.Expr) -> bool:
    match node:
        case exp.Paren() | exp.Not():
            return _is_condition(node.this)
        case exp.Connector():
            return _is_condition(node.left) and _is_condition(node.right)
        case _:
            return isinstance(node, exp.Predicate)


def sample(text: str) -> str:
    """A statement with every placeholder filled; the columns are two that staging and production have."""
    values: dict[str, object] = {}
    for name in sql.placeholders(text):
        kinds = {"marks": 2, "texts": "s.[ACTIVE], s.[All]", "text": "s.record_uuid", "s": ("STYLE", "COLOR")}
        values[name] = next((value for end, value in kinds.items() if name.endswith(end)), "STYLE")
    return sql.expand(text, **values)  # type: ignore[arg-type]


BLOCKS = {f"{step}-{block.name}-{block.engine}": block for step in sql.files() for block in sql.blocks(step)}
PORTABLE, UNPORTABLE = (
    Path(__file__).with_name(name).read_text(encoding="utf-8").splitlines()
    for name in ("portable.txt", "unportable.txt")
)


def problems_of(block: sql.Block) -> list[str]:
    """`problems` of a portable block; a block of one engine has to be one statement of it."""
    text = sample(block.text)
    if block.engine is None:
        return problems(text)
    trees = sqlglot.parse(text, read=(DIALECTS | {"postgresql": "postgres"})[block.engine])
    whole = len(trees) == 1 and trees[0] is not None and not isinstance(trees[0], exp.Command)
    return [] if whole else [f"not one statement of {block.engine}"]


def test_every_statement_is_portable() -> None:
    assert {name: found for name, block in BLOCKS.items() if (found := problems_of(block))} == {}


def test_good_statements_pass() -> None:
    assert {statement: found for statement in PORTABLE if (found := problems(statement))} == {}


def test_bad_statements_are_caught_for_their_reason() -> None:
    examples = dict(line.split(" => ") for line in UNPORTABLE)
    assert len(examples) == len(UNPORTABLE)
    missed = {statement: reason for statement, reason in examples.items() if reason not in problems(statement)}
    assert missed == {}


def test_long_statement_is_caught() -> None:
    assert problems(f"SELECT a FROM t WHERE a = '{'x' * LONGEST}'") == ["4,000 characters or more"]
