# syntax=docker/dockerfile:1
FROM node:24-bookworm-slim AS build
WORKDIR /app
COPY package.json package-lock.json .npmrc ./
COPY runtime runtime
RUN npm ci --ignore-scripts
COPY tsconfig.json tsconfig.build.json ./
COPY schemas schemas
COPY plugins plugins
COPY routes routes
COPY src src
RUN npm run build && npm ci --omit=dev --ignore-scripts

FROM node:24-bookworm-slim
ENV NODE_ENV=production
WORKDIR /app
COPY --from=build /app/node_modules node_modules
COPY --from=build /app/dist dist
COPY package.json LICENSE ./
COPY bin bin
COPY docker docker
# The user `node`, by number so that an orchestrator can tell that it is not root. Nothing is written: the root file system may be read-only.
USER 1000:1000
EXPOSE 3000
HEALTHCHECK --interval=10s --timeout=3s --start-period=5s CMD ["node", "docker/healthcheck.js"]
# As `npm start` does: V8 would keep up to 100 MB for what is new, most of it empty.
ENTRYPOINT ["node", "--max-semi-space-size=16", "bin/potluck.js"]
CMD ["serve"]
