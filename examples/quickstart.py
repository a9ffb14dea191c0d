from flask import Flask
from flask_sqlalchemy import SQLAlchemy

from flask_wepay import WePay, current_wepay, wepay_required
from flask_wepay.sqla import WePayTokenMixin

app = Flask(__name__)
app.config["SQLALCHEMY_DATABASE_URI"] = "sqlite:///quickstart.sqlite"
app.config.from_prefixed_env()  # FLASK_SECRET_KEY, FLASK_WEPAY_CLIENT_ID, ...
db = SQLAlchemy(app)


class WePayToken(WePayTokenMixin, db.Model):
    pass


wepay = WePay(app, token_model=WePayToken)

with app.app_context():
    db.create_all()


@app.get("/")
@wepay_required  # not connected: off to WePay and back here
def index():
    return f"Connected as {current_wepay.call('user')['email']}"
