from __future__ import annotations

from datetime import date, timedelta
from pathlib import Path

import pytest

from mirror.errors import SettingsInvalid
from mirror.settings import DEFAULT_DATA_DIR, load_settings


@pytest.fixture(autouse=True)
def _no_environment(monkeypatch):
    for name in ("MIRROR_CONFIG", "MIRROR_DATA_DIR", "MIRROR_SERVER__PORT"):
        monkeypatch.delenv(name, raising=False)


def write(tmp_path: Path, text: str) -> Path:
    file = tmp_path / "mirror.toml"
    file.write_text(text)
    return file


def test_defaults_without_a_file(tmp_path):
    settings = load_settings(data_dir=tmp_path)
    assert settings.data_dir == tmp_path
    assert settings.server.port == 8080
    assert settings.store.grace == timedelta(days=2)


def test_the_default_data_dir():
    assert load_settings().data_dir == DEFAULT_DATA_DIR


def test_the_file_in_the_data_dir_is_read(tmp_path):
    write(tmp_path, '[store]\nmin_free = "1 GiB"\n[server]\nport = 81\n')
    settings = load_settings(data_dir=tmp_path)
    assert settings.store.min_free == 1 << 30
    assert settings.server.port == 81


@pytest.mark.parametrize(
    ("written", "seconds"), [("90", 90), ("'5 min'", 300), ("'2h'", 7200), ("'PT1M'", 60)]
)
def test_durations(tmp_path, written, seconds):
    file = write(tmp_path, f"[store]\ngrace = {written}\n")
    assert load_settings(config=file).store.grace == timedelta(seconds=seconds)


def test_the_environment_wins_over_the_file(tmp_path, monkeypatch):
    file = write(tmp_path, "[server]\nport = 81\nworkers = 3\n")
    monkeypatch.setenv("MIRROR_SERVER__PORT", "82")
    settings = load_settings(config=file)
    assert (settings.server.port, settings.server.workers) == (82, 3)


def test_the_command_line_wins_over_the_environment(tmp_path, monkeypatch):
    monkeypatch.setenv("MIRROR_DATA_DIR", "/elsewhere")
    assert load_settings(data_dir=tmp_path).data_dir == tmp_path
    assert load_settings().data_dir == Path("/elsewhere")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[server]\nprot = 1\n", "did you mean 'server.port'?"),
        ("[sever]\nport = 1\n", "did you mean 'server'?"),
        ("[server]\nport = 70000\n", "server.port: Input should be less than or equal to 65535"),
        ("[server]\nport = 'x'\n", "server.port: "),
        ("[server\n", "can't read the settings file"),
    ],
)
def test_what_is_not_understood_is_an_error(tmp_path, text, said):
    file = write(tmp_path, text)
    with pytest.raises(SettingsInvalid) as caught:
        load_settings(config=file)
    assert said in caught.value.what
    assert str(file) in caught.value.what


def test_a_named_file_must_exist(tmp_path):
    with pytest.raises(SettingsInvalid, match="there is no settings file"):
        load_settings(config=tmp_path / "none.toml")


def test_a_section_may_be_half_in_the_file_and_half_in_the_environment(tmp_path, monkeypatch):
    (tmp_path / "mirror.toml").write_text(
        "[server]\nport = 81\nhost = '::1'\n[sync]\nattempts = 3\n"
    )
    monkeypatch.setenv("MIRROR_SERVER__PORT", "82")
    monkeypatch.setenv("mirror_plugins__allow", '["ubuntu"]')
    settings = load_settings(data_dir=tmp_path)
    assert (settings.server.port, settings.server.host) == (82, "::1")
    assert settings.sync.attempts == 3
    assert settings.plugins.allow == ("ubuntu",)


def test_a_list_in_the_environment_that_is_not_json_is_explained(tmp_path, monkeypatch):
    monkeypatch.setenv("MIRROR_PLUGINS__ALLOW", "ubuntu")
    with pytest.raises(SettingsInvalid, match=r"plugins.*not JSON"):
        load_settings(data_dir=tmp_path)


# --- sections of plugins --------------------------------------------------------------------------


def test_a_section_of_a_plugin_is_kept_as_it_is(tmp_path):
    file = write(
        tmp_path,
        "[plugins]\nprefer = ['mine', 'ubuntu']\n"
        "[plugins.ubuntu]\nwarn_days = 30\n[plugins.ubuntu.ends]\nnoble = 2029-05-31\n",
    )
    plugins = load_settings(config=file).plugins
    assert plugins.prefer == ("mine", "ubuntu")
    assert plugins.sections == {"ubuntu": {"warn_days": 30, "ends": {"noble": date(2029, 5, 31)}}}


def test_a_section_of_a_plugin_in_the_environment_wins_key_by_key(tmp_path, monkeypatch):
    file = write(tmp_path, "[plugins.ubuntu]\nwarn_days = 30\ntitle = 'x'\n")
    monkeypatch.setenv("MIRROR_PLUGINS__UBUNTU__WARN_DAYS", "60")
    monkeypatch.setenv("MIRROR_PLUGINS__CENTOS__QUIET", "true")
    assert load_settings(config=file).plugins.sections == {
        "ubuntu": {"warn_days": "60", "title": "x"},
        "centos": {"quiet": "true"},
    }


def test_without_sections_there_are_none(tmp_path):
    assert load_settings(data_dir=tmp_path).plugins.sections == {}


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (
            "[plugins]\nstrct = true\n",
            "unknown key 'plugins.strct'; did you mean 'plugins.strict'?",
        ),
        ("[plugins]\nprefers = ['a']\n", "did you mean 'plugins.prefer'?"),
        ("[plugin.ubuntu]\nx = 1\n", "unknown key 'plugin'; did you mean 'plugins'?"),
        ("[plugins]\nprefer = 'a'\n", "plugins.prefer: Input should be a valid tuple"),
        ("[plugins.strict]\nx = 1\n", "plugins.strict: Input should be a valid boolean"),
        ("[[plugins.ubuntu]]\nx = 1\n", "unknown key 'plugins.ubuntu'"),
    ],
)
def test_only_a_table_is_a_section(tmp_path, text, said):
    file = write(tmp_path, text)
    with pytest.raises(SettingsInvalid) as caught:
        load_settings(config=file)
    assert said in caught.value.what
    assert str(file) in caught.value.what


def test_a_value_for_a_plugin_in_the_environment_names_its_key(tmp_path, monkeypatch):
    monkeypatch.setenv("MIRROR_PLUGINS__STRCT", "true")
    with pytest.raises(SettingsInvalid, match=r"environment: unknown key 'plugins.strct'"):
        load_settings(data_dir=tmp_path)
