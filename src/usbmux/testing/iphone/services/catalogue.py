"""The services that need nothing but the phone, under the names that hosts start them by."""

from collections.abc import Callable

from usbmux.testing.iphone.services.context import Service
from usbmux.testing.iphone.services.crash_report_mover import crash_report_mover
from usbmux.testing.iphone.services.diagnostics_relay import DiagnosticsRelay, PowerAction
from usbmux.testing.iphone.services.heartbeat import Heartbeat
from usbmux.testing.iphone.services.installation_proxy import installation_proxy
from usbmux.testing.iphone.services.mobile_image_mounter import mobile_image_mounter
from usbmux.testing.iphone.services.notification_proxy import insecure_notification_proxy, notification_proxy
from usbmux.testing.iphone.services.os_trace_relay import OsTraceRelay
from usbmux.testing.iphone.services.screenshotr import Screenshotr
from usbmux.testing.iphone.services.syslog_relay import syslog_relay


def default_services(carry_out: Callable[[PowerAction], None] | None = None) -> dict[str, Service]:
    """Services with their usual settings.

    Args:
        carry_out: What the phone does when a host asks it to restart, shut down or sleep; None to refuse.
    """
    return {
        "com.apple.crashreportmover": crash_report_mover,
        "com.apple.mobile.diagnostics_relay": DiagnosticsRelay(carry_out),
        "com.apple.mobile.heartbeat": Heartbeat(),
        "com.apple.mobile.insecure_notification_proxy": insecure_notification_proxy,
        "com.apple.mobile.installation_proxy": installation_proxy,
        "com.apple.mobile.mobile_image_mounter": mobile_image_mounter,
        "com.apple.mobile.notification_proxy": notification_proxy,
        "com.apple.mobile.screenshotr": Screenshotr(),
        "com.apple.os_trace_relay": OsTraceRelay(),
        "com.apple.syslog_relay": syslog_relay,
    }
