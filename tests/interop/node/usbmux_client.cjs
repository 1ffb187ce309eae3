// Asks the daemon at the given path for its phones, and the first of them for its values; prints JSON.
const { UsbmuxClient } = require("usbmux-client");

async function main(path) {
  const client = new UsbmuxClient({ path });
  const devices = await client.getDevices();
  const [id] = Object.keys(devices);
  const name = await client.queryDeviceValue(id, "DeviceName");
  const values = await client.queryAllDeviceValues(id);
  const tunnel = await client.createDeviceTunnel(id, 7);
  tunnel.write("through the tunnel");
  const echoed = await new Promise((resolve) => tunnel.once("data", resolve));
  tunnel.destroy();
  await client.close();
  return { devices, name, values, echoed: echoed.toString() };
}

main(process.argv.at(-1)).then((answer) => {
  console.log(JSON.stringify(answer));
  process.exit(); // not when the daemon has ended the connections of which this end is closed
});
