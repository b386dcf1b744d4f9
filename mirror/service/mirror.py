"""One opened data directory, and its nouns."""

from __future__ import annotations

from contextlib import ExitStack
from functools import cached_property
from typing import TYPE_CHECKING, Self

from mirror.store.layout import DataDir

if TYPE_CHECKING:
    from types import TracebackType

    from mirror.catalog import Catalog
    from mirror.plugin_manager import Plugins
    from mirror.service.announce import Announcer
    from mirror.service.audit import Audit
    from mirror.service.channels import Channels
    from mirror.service.custom_images import CustomImages
    from mirror.service.images import Images
    from mirror.service.jobs import Jobs
    from mirror.service.pushing import Pushing
    from mirror.service.schedule import Scheduling
    from mirror.service.selections import Selections
    from mirror.service.snapshots import Snapshots
    from mirror.service.sources import Sources
    from mirror.service.storage import Storage
    from mirror.service.syncs import Syncs
    from mirror.service.tokens import Tokens
    from mirror.service.uploading import Uploading
    from mirror.service.wishes import Wishing
    from mirror.settings import Settings
    from mirror.signing.key import SigningKey
    from mirror.store import Store
    from mirror.sync.run import Tools


class Mirror:
    """One opened data directory. Close it, or use it as a context manager.

    What it has is opened, and the code for it imported, when it is first asked for: a listing
    starts without the network's and the signing's libraries.
    """

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.dir = DataDir(settings.data_dir)

    @classmethod
    def create(cls, settings: Settings, *, name: str, algorithm: str = "") -> Mirror:
        """Make the data directory and its key where they are missing, and open it.

        `name` is the key's user id, `algorithm` one of `mirror.signing.key`. Raises
        `DataDirNotOurs`, `DataDirNotWritable`, `SigningFailed`.
        """
        from mirror.signing.key import RSA3072, SigningKey

        layout = DataDir(settings.data_dir)
        layout.create()
        if not SigningKey.exists(layout.gnupg):
            SigningKey.create(layout.gnupg, name, algorithm=algorithm or RSA3072).close()
        return cls.open(settings)

    @classmethod
    def open(cls, settings: Settings) -> Mirror:
        """Open a data directory that `create` made. Raises `NotInitialised`, `DataDirNotOurs`."""
        DataDir(settings.data_dir).check()
        return cls(settings)

    def __enter__(self) -> Self:
        """Return the mirror itself."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Close what is open."""
        self.close()

    def close(self) -> None:
        """Close what was opened. Plugins that are being told of something may finish first."""
        opened = self.__dict__
        with ExitStack() as stack:
            for name in ("catalog", "store", "announcer"):
                if name in opened:
                    stack.callback(opened.pop(name).close)

    # --- what it works with -----------------------------------------------------------------------

    @cached_property
    def catalog(self) -> Catalog:
        """What the operator decided. Raises `CatalogMissing`, `CatalogDamaged`, `StoreError`."""
        from mirror.catalog import Catalog
        from mirror.service.catalog_file import require

        require(self.dir)
        return Catalog(self.dir.catalog)

    @cached_property
    def plugins(self) -> Plugins:
        """What is installed. Raises `PluginBroken` where the settings are strict."""
        from mirror.plugin_manager import load_configured

        return load_configured(self.settings.plugins)

    @cached_property
    def key(self) -> SigningKey:
        """The key that signs what we publish. Raises `SigningFailed`."""
        from mirror.signing.key import SigningKey

        return SigningKey.open(self.dir.gnupg)

    @cached_property
    def store(self) -> Store:
        """Blobs, snapshots and channels."""
        from mirror.store import Store

        return Store.open(self.settings.data_dir, key=self.key)

    def tools(self) -> Tools:
        """Return what a sync works with."""
        from mirror.sync.run import Tools

        return Tools(
            store=self.store,
            catalog=self.catalog,
            plugins=self.plugins,
            key=self.key,
            settings=self.settings,
        )

    @cached_property
    def announcer(self) -> Announcer:
        """What tells plugins of events."""
        from mirror.service.announce import Announcer

        return Announcer(self)

    # --- the nouns --------------------------------------------------------------------------------

    @cached_property
    def sources(self) -> Sources:
        """Boot sources."""
        from mirror.service.sources import Sources

        return Sources(self)

    @cached_property
    def selections(self) -> Selections:
        """What to take from them."""
        from mirror.service.selections import Selections

        return Selections(self)

    @cached_property
    def images(self) -> Images:
        """What the sources offer, and what the channels publish."""
        from mirror.service.images import Images

        return Images(self)

    @cached_property
    def custom_images(self) -> CustomImages:
        """The operator's own images."""
        from mirror.service.custom_images import CustomImages

        return CustomImages(self)

    @cached_property
    def uploading(self) -> Uploading:
        """Custom images that come in over the network."""
        from mirror.service.uploading import Uploading

        return Uploading(self)

    @cached_property
    def pushing(self) -> Pushing:
        """Custom images that go to MAAS regions."""
        from mirror.service.pushing import Pushing

        return Pushing(self)

    @cached_property
    def syncs(self) -> Syncs:
        """Bringing a channel up to date."""
        from mirror.service.syncs import Syncs

        return Syncs(self)

    @cached_property
    def jobs(self) -> Jobs:
        """The syncs that were asked for, that run, and that have ended."""
        from mirror.service.jobs import Jobs

        return Jobs(self)

    @cached_property
    def schedule(self) -> Scheduling:
        """When the mirror syncs by itself."""
        from mirror.service.schedule import Scheduling

        return Scheduling(self)

    @cached_property
    def snapshots(self) -> Snapshots:
        """What was published, and when."""
        from mirror.service.snapshots import Snapshots

        return Snapshots(self)

    @cached_property
    def channels(self) -> Channels:
        """What is published now, and under which name."""
        from mirror.service.channels import Channels

        return Channels(self)

    @cached_property
    def storage(self) -> Storage:
        """Bytes at rest: check them, drop what nothing needs."""
        from mirror.service.storage import Storage

        return Storage(self)

    @cached_property
    def tokens(self) -> Tokens:
        """Who may use it, and for what."""
        from mirror.service.tokens import Tokens

        return Tokens(self)

    @cached_property
    def audit(self) -> Audit:
        """Who changed what."""
        from mirror.service.audit import Audit

        return Audit(self)

    @cached_property
    def wishes(self) -> Wishing:
        """All that the operator decided, as a file."""
        from mirror.service.wishes import Wishing

        return Wishing(self)
