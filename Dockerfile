# veobatch as an image: one program, no shell needed, nobody's root.
#
#   docker build --tag veobatch .
#   docker run --rm veobatch run --simulate …       (or docker-compose.yml, for several workers on one Redis)

FROM rust:1.95-slim-bookworm AS build
WORKDIR /src
COPY . .
# The caches outlive the layer, so a changed line does not build 300 crates again.
RUN --mount=type=cache,target=/usr/local/cargo/registry \
    --mount=type=cache,target=/src/target \
    cargo build --release --locked --package veobatch \
    && cp target/release/veobatch /usr/local/bin/veobatch

FROM debian:bookworm-slim
# The certificates of the web's authorities: without them no HTTPS call is trusted.
RUN apt-get update \
    && apt-get install --yes --no-install-recommends ca-certificates \
    && rm -rf /var/lib/apt/lists/* \
    # 1000 is the first user of most Linux machines, so that a mounted ./videos is theirs on both sides.
    && useradd --uid 1000 --user-group --no-create-home --shell /usr/sbin/nologin veobatch \
    && install --directory --owner=veobatch --group=veobatch /videos /state /work
COPY --from=build /usr/local/bin/veobatch /usr/local/bin/veobatch

# /videos: what was paid for. /state: the journal of paid calls; losing it turns crashes into jobs in doubt.
ENV VEOBATCH_OUTPUT=/videos \
    VEOBATCH_STATE_DIR=/state
VOLUME ["/videos", "/state"]
WORKDIR /work
USER veobatch
# SIGTERM is the graceful stop: paid calls under way are waited for, 75 s at most. Give it 90 s.
STOPSIGNAL SIGTERM
ENTRYPOINT ["veobatch"]
CMD ["--help"]
