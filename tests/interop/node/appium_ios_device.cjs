// Uses the first phone of the daemon that the environment names, which this host is paired with; prints JSON.
const { createHash } = require("node:crypto");
const { once } = require("node:events");
const { services, utilities } = require("appium-ios-device");

const FILE = "/Downloads/written";

function digest(data) {
  return createHash("sha256").update(data).digest("hex");
}

async function moveFile(udid, data) {
  const afc = await services.startAfcService(udid);
  const output = await afc.createWriteStream(FILE, { autoDestroy: true });
  output.end(data);
  await once(output, "close");
  const names = await afc.listDirectory("/Downloads");
  const pieces = [];
  for await (const piece of await afc.createReadStream(FILE, { autoDestroy: true })) pieces.push(piece);
  afc.close();
  return { names, sent: digest(data), received: digest(Buffer.concat(pieces)) };
}

async function listApplications(udid) {
  const proxy = await services.startInstallationProxyService(udid);
  const applications = await proxy.listApplications({ applicationType: "User" });
  proxy.close();
  return Object.keys(applications);
}

async function main() {
  const [udid] = await utilities.getConnectedDevices();
  return {
    udid,
    name: await utilities.getDeviceName(udid),
    version: await utilities.getOSVersion(udid),
    values: await utilities.getDeviceInfo(udid),
    file: await moveFile(udid, Buffer.from(Array.from({ length: 1 << 20 }, (_, index) => (index * index) >> 3))),
    applications: await listApplications(udid),
  };
}

main().then((answer) => {
  console.log(JSON.stringify(answer));
  process.exit(); // not when the daemon has ended the connections of which this end is closed
});
