"""What a device says about itself without being opened, as plain values."""

from usbmux.usb._usb1 import Device, UsbConfiguration
from usbmux.values import frozen


@frozen
class Endpoint:
    """An endpoint descriptor."""

    address: int
    attributes: int
    max_packet_size: int


@frozen
class Interface:
    """An interface descriptor: one alternate setting of one interface."""

    number: int
    alternate_setting: int
    interface_class: int
    subclass: int
    protocol: int
    endpoints: tuple[Endpoint, ...] = ()


@frozen
class Configuration:
    """A configuration descriptor with everything below it."""

    value: int
    interfaces: tuple[Interface, ...] = ()


@frozen
class DeviceDescriptors:
    """A device on the bus: its place and all its descriptors."""

    bus: int
    address: int
    ports: tuple[int, ...]
    """Chain of hub ports from the root hub on; empty where the system does not tell."""
    speed: int
    """libusb's number for the link speed."""
    vendor_id: int
    product_id: int
    serial_number_index: int
    """Index of the string descriptor; 0 when there is none."""
    configurations: tuple[Configuration, ...] = ()


def read_descriptors(device: Device) -> DeviceDescriptors:
    """Copy the descriptors that libusb keeps; nothing is sent to the device."""
    return DeviceDescriptors(
        bus=device.getBusNumber(),
        address=device.getDeviceAddress(),
        ports=tuple(device.getPortNumberList()),
        speed=device.getDeviceSpeed(),
        vendor_id=device.getVendorID(),
        product_id=device.getProductID(),
        serial_number_index=device.getSerialNumberDescriptor(),
        configurations=tuple(map(_read_configuration, device.iterConfigurations())),
    )


def _read_configuration(configuration: UsbConfiguration) -> Configuration:
    interfaces = tuple(
        Interface(
            number=setting.getNumber(),
            alternate_setting=setting.getAlternateSetting(),
            interface_class=setting.getClass(),
            subclass=setting.getSubClass(),
            protocol=setting.getProtocol(),
            endpoints=tuple(
                Endpoint(endpoint.getAddress(), endpoint.getAttributes(), endpoint.getMaxPacketSize())
                for endpoint in setting
            ),
        )
        for interface in configuration
        for setting in interface
    )
    return Configuration(value=configuration.getConfigurationValue(), interfaces=interfaces)
