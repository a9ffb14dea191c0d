#!/bin/sh
# Serve the platform with two workers of gunicorn, on PostgreSQL and Redis.
# The README beside this file says what has to be there first.
set -eu
cd "$(dirname "$0")/.."

: "${FLASK_SECRET_KEY:?is what sessions are signed with: set it to a long random text}"
export DATABASE_URL="${DATABASE_URL:-postgresql:///lantern}"
# Both workers count the calls to WePay here, since WePay counts them together too.
export FLASK_WEPAY_THROTTLE_STORAGE="${FLASK_WEPAY_THROTTLE_STORAGE:-redis://127.0.0.1:6379}"

python -m flask --app crowdfunding db upgrade
exec python -m gunicorn --workers 2 --bind "${BIND:-127.0.0.1:8000}" 'crowdfunding:create_app()'
