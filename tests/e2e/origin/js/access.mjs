// Tokens with the official JavaScript client: granted, read, used, refused, revoked. Needs Access Manager on.
import assert from 'node:assert/strict';
import { client, failure, run, until } from './clients.mjs';

const server = client('server', { secretKey: 'sec' });
const user = client('u1');

await run({
  async 'a token is granted and can be read'() {
    const token = await server.grantToken({
      ttl: 15,
      authorized_uuid: 'u1',
      resources: { channels: { inbox: { read: true } }, uuids: { u1: { get: true } } },
      patterns: { channels: { '^room\\.[0-9]+$': { read: true, write: true } } },
      meta: { plan: 'free' },
    });
    const parsed = user.parseToken(token);
    assert.equal(parsed.version, 2);
    assert.equal(parsed.ttl, 15);
    assert.equal(parsed.authorized_uuid, 'u1');
    assert.equal(parsed.resources.channels.inbox.read, true);
    assert.equal(parsed.resources.channels.inbox.write, false);
    assert.equal(parsed.patterns.channels['^room\\.[0-9]+$'].write, true);
    user.setToken(token);
  },

  async 'it allows what it says and nothing else'() {
    await user.publish({ channel: 'room.7', message: { hello: "w'(o)r~l!d*" } });
    await user.hereNow({ channels: ['inbox'] });
    const error = await failure(user.publish({ channel: 'inbox', message: 'x' }));
    assert.equal(error.status.statusCode, 403);
    const refused = await failure(user.objects.setUUIDMetadata({ uuid: 'u1', data: { name: 'Eve' } }));
    assert.equal(refused.status.statusCode, 403);
  },

  async 'a subscriber without read is rejected'() {
    const outsider = client('u2');
    const categories = [];
    outsider.addListener({ status: (status) => categories.push(status.category) });
    outsider.subscribe({ channels: ['inbox'] });
    await until(
      () => categories.some((category) => /Error|AccessDenied/.test(category)),
      'a refusal is announced',
    );
    outsider.destroy();
  },

  async 'a client that signs with the secret may do everything'() {
    await server.publish({ channel: "any~thing!'()", message: { a: "ä~'" } });
    await server.publish({ channel: 'posted', message: { a: 1 }, sendByPost: true });
    await server.objects.setChannelMetadata({ channel: 'c', data: { name: "ä'~*()!" } });
    await server.objects.getAllChannelMetadata({ filter: "name LIKE 'ä*' && id != '~'" });
    await server.deleteMessages({ channel: 'posted' });
    await server.channelGroups.addChannels({ channels: ['a'], channelGroup: 'g' });
  },

  async 'a revoked token is refused'() {
    const token = await server.grantToken({ ttl: 15, resources: { channels: { c: { read: true } } } });
    const other = client('u3');
    other.setToken(token);
    await other.hereNow({ channels: ['c'] });
    await server.revokeToken(token);
    const error = await failure(other.hereNow({ channels: ['c'] }));
    assert.equal(error.status.statusCode, 403);
  },

  async 'a ttl out of range reaches the caller as an error'() {
    const error = await failure(server.grantToken({ ttl: 43201, resources: { channels: { c: { read: true } } } }));
    assert.equal(error.status.statusCode, 400);
    assert.match(JSON.stringify(error.status) + error.message, /Range should be 1 to 43200 minute\(s\)\.|Invalid ttl/);
  },
});
