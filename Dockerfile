# The image holds the program, certificate authorities (for traces sent over TLS, and
# the command line) and an empty folder for the data. There is no shell.
#
#   docker build -t apikeyd .
#   docker run -p 127.0.0.1:8080:8080 -v apikeyd:/data apikeyd

FROM golang:1.26.8-bookworm AS build
WORKDIR /src
# What was downloaded is kept until go.mod changes.
COPY go.mod go.sum ./
RUN go mod download
# With .git, from which the program has its version.
COPY . .
RUN make build
RUN mkdir /data

FROM scratch
COPY --from=build /etc/ssl/certs/ca-certificates.crt /etc/ssl/certs/
COPY --from=build /src/bin/apikeyd /bin/apikeyd
COPY --from=build --chown=65532:65532 /data /data
# In a container 127.0.0.1 would be the container's own.
ENV APIKEYD_LISTEN=0.0.0.0:8080
ENV APIKEYD_DATABASE=/data/apikeyd.db
USER 65532:65532
WORKDIR /data
VOLUME /data
EXPOSE 8080
HEALTHCHECK --interval=30s --timeout=5s --start-period=30s CMD ["/bin/apikeyd", "healthcheck"]
STOPSIGNAL SIGTERM
ENTRYPOINT ["/bin/apikeyd"]
CMD ["serve"]
