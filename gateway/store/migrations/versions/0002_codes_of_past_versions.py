"""The codes of versions that are past, for rules by code; `backbridge reindex` fills the table for older rows."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = '0002'
down_revision = '0001'
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table('past_code',
    sa.Column('pk', sa.BigInteger(), autoincrement=False, nullable=False),
    sa.Column('version', sa.Integer(), autoincrement=False, nullable=False),
    sa.Column('param', sa.SmallInteger(), autoincrement=False, nullable=False),
    sa.Column('code', sa.BigInteger(), autoincrement=False, nullable=False),
    sa.PrimaryKeyConstraint('pk', 'version', 'param', 'code'),
    sqlite_with_rowid=False
    )


def downgrade() -> None:
    op.drop_table('past_code')
