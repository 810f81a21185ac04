"""QGIS's proxy, as pip and uv understand it."""

from __future__ import annotations

from urllib.parse import quote

from qgis.core import QgsNetworkAccessManager
from qgis.PyQt.QtCore import QUrl
from qgis.PyQt.QtNetwork import QNetworkProxy

_SCHEMES = {
    QNetworkProxy.ProxyType.HttpProxy: "http",
    QNetworkProxy.ProxyType.HttpCachingProxy: "http",
    QNetworkProxy.ProxyType.Socks5Proxy: "socks5h",
}


def qgis_proxy() -> tuple[str, str]:
    """Return the proxy of QGIS's network settings as a URL, and the hosts reached without it; "" where it has none.

    Of the system's own settings, which QGIS follows where it has no proxy, pip and uv know themselves.
    """
    manager = QgsNetworkAccessManager.instance()
    proxy = manager.fallbackProxy()  # with user and password, also where they lie in QGIS's password safe
    scheme = _SCHEMES.get(proxy.type())
    if not scheme or not proxy.hostName():
        return "", ""
    login = quote(proxy.user(), safe="")
    if proxy.password():
        login += ":" + quote(proxy.password(), safe="")
    port = f":{proxy.port()}" if proxy.port() else ""
    address = f"{scheme}://{login}{'@' if login else ''}{proxy.hostName()}{port}"
    excluded = [QUrl(text).host() or text for text in [*manager.excludeList(), *manager.noProxyList()]]
    return address, ",".join(dict.fromkeys(filter(None, excluded)))
