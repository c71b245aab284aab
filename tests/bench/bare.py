"""The least that FastAPI can do: look up who asks by the same token, read rows of the same store by key, send them."""

import sys
from typing import Annotated

import uvicorn
from fastapi import Depends, FastAPI, HTTPException, Request, Response
from sqlalchemy import Text, select
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from serving.access import Viewer
from serving.dependencies import token_of
from serving.sign_in import viewer_of
from serving.store import Store


class Base(DeclarativeBase):
    pass


class Detail(Base):
    """A body as large as that of one deal."""

    __tablename__ = "bench_details"
    deal_id: Mapped[str] = mapped_column(primary_key=True)
    body: Mapped[str] = mapped_column(Text)


class Line(Base):
    """A body as large as a row of a list."""

    __tablename__ = "bench_lines"
    deal_id: Mapped[str] = mapped_column(primary_key=True)
    body: Mapped[str] = mapped_column(Text)


def bare_app(store: Store) -> FastAPI:
    app = FastAPI()

    def viewer(request: Request) -> Viewer:
        found = viewer_of(store, token_of(request))
        if found is None:
            raise HTTPException(401)
        return found

    ViewerDep = Annotated[Viewer, Depends(viewer)]

    @app.get("/healthz")
    def alive() -> dict[str, str]:
        return {"status": "ok"}

    @app.get("/deals/{deal_id}")
    def read(deal_id: str, viewer: ViewerDep) -> Response:
        with store.reading() as session:
            row = session.get(Detail, deal_id)
        if row is None:
            raise HTTPException(404)
        return Response(row.body, media_type="application/json")

    @app.get("/deals")
    def listed(after: str, viewer: ViewerDep) -> Response:
        query = select(Line).where(Line.deal_id > after).order_by(Line.deal_id).limit(50)
        with store.reading() as session:
            rows = session.scalars(query).all()
        return Response("[" + ",".join(row.body for row in rows) + "]", media_type="application/json")

    return app


if __name__ == "__main__":
    url, _, port = sys.argv[1:]
    uvicorn.run(bare_app(Store(url)), host="127.0.0.1", port=int(port), log_level="warning", access_log=False)
