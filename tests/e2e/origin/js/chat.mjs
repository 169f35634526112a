// The official Chat SDK: users, channels, memberships, messages, typing, presence, reactions, unread counts.
import assert from 'node:assert/strict';
import { chatClass, keys, run, until } from './clients.mjs';

const Chat = chatClass();
const ann = await Chat.init({ ...keys, userId: 'ann', typingTimeout: 2000, storeUserActivityTimestamps: true });
const bob = await Chat.init({ ...keys, userId: 'bob', typingTimeout: 2000 });
const settled = () => new Promise((done) => setTimeout(done, 300));
let room;
let bobs;

await run({
  async 'users are created, updated, listed and announced'() {
    assert.equal(ann.currentUser.id, 'ann');
    const eve = await ann.createUser('eve', { name: 'Eve', custom: { team: 'red' } });
    assert.equal(eve.name, 'Eve');
    const heard = [];
    const stop = eve.onUpdated((user) => heard.push(user.name));
    await settled();
    await eve.update({ name: 'Eva' });
    await until(() => heard.includes('Eva'), 'the update');
    stop();
    assert.equal((await bob.getUser('eve')).name, 'Eva');
    assert.equal(await bob.getUser('nobody'), null);
    const { users, total } = await ann.getUsers({ filter: "name LIKE 'ev*'", include: { totalCount: true } });
    assert.deepEqual(users.map((user) => user.id), ['eve']);
    await eve.delete();
    assert.equal(await bob.getUser('eve'), null);
    assert.ok(total === undefined || total === 1);
  },

  async 'a channel is created, found, updated and listed'() {
    const lobby = await ann.createPublicConversation({ channelId: 'lobby', channelData: { name: 'Lobby' } });
    assert.equal(lobby.type, 'public');
    assert.equal((await bob.getChannel('lobby')).name, 'Lobby');
    assert.equal(await bob.getChannel('nowhere'), null);
    await lobby.update({ description: 'for all' });
    assert.equal((await bob.getChannel('lobby')).description, 'for all');
    const { channels } = await bob.getChannels({ filter: "name == 'Lobby'" });
    assert.deepEqual(channels.map((channel) => channel.id), ['lobby']);
  },

  async 'direct and group conversations have members'() {
    const { channel, hostMembership, inviteeMembership } = await ann.createDirectConversation({
      user: await ann.getUser('bob'),
      channelData: { name: 'A and B' },
    });
    assert.equal(channel.type, 'direct');
    assert.equal(hostMembership.user.id, 'ann');
    assert.equal(inviteeMembership.user.id, 'bob');
    const made = await ann.createGroupConversation({
      users: [await ann.getUser('bob')], channelId: 'room', channelData: { name: 'Room' },
    });
    room = made.channel;
    const { members } = await room.getMembers();
    assert.deepEqual(members.map((member) => member.user.id).sort(), ['ann', 'bob']);
    assert.equal(await room.hasMember('bob'), true);
    assert.equal(await (await ann.getUser('bob')).isMemberOf('room'), true);
    bobs = await bob.getChannel('room');
  },

  async 'joining and leaving change memberships'() {
    const lobby = await bob.getChannel('lobby');
    const membership = await lobby.join({ custom: { role: 'guest' } });
    assert.equal(membership.custom.role, 'guest');
    const { memberships } = await bob.currentUser.getMemberships();
    assert.ok(memberships.some((item) => item.channel.id === 'lobby'));
    const changed = await membership.update({ custom: { role: 'host' } });
    assert.equal(changed.custom.role, 'host');
    await lobby.leave();
    assert.equal(await bob.currentUser.isMemberOf('lobby'), false);
  },

  async 'messages arrive and stay in history'() {
    const heard = [];
    const stop = bobs.onMessageReceived((message) => heard.push(message.text));
    await settled();
    await room.sendText('hello');
    await room.sendText('world');
    await until(() => heard.length === 2, 'two messages');
    stop();
    assert.deepEqual(heard, ['hello', 'world']);
    const { messages, isMore } = await bobs.getHistory({ count: 1 });
    assert.deepEqual(messages.map((message) => message.text), ['world']);
    assert.equal(isMore, true);
    const older = await bobs.getHistory({ count: 10, startTimetoken: messages[0].timetoken });
    assert.deepEqual(older.messages.map((message) => message.text), ['hello']);
  },

  async 'reactions are toggled, edits and deletions marked, and announced'() {
    const { timetoken } = await room.sendText('react to me');
    const message = await room.getMessage(String(timetoken));
    const heard = [];
    const stop = message.onUpdated((updated) => heard.push(updated));
    await settled();
    const seen = await bobs.getMessage(String(timetoken));
    await seen.toggleReaction('👍');
    await until(() => heard.some((updated) => updated.hasUserReaction || updated.reactions.length), 'the reaction');
    const [reaction] = (await room.getMessage(String(timetoken))).reactions;
    assert.equal(reaction.value, '👍');
    await (await bobs.getMessage(String(timetoken))).toggleReaction('👍');
    assert.equal((await room.getMessage(String(timetoken))).reactions.length, 0);
    const edited = await (await room.getMessage(String(timetoken))).editText('edited');
    assert.equal(edited.text, 'edited');
    const deleted = await (await room.getMessage(String(timetoken))).delete({ soft: true });
    assert.equal(deleted.deleted, true);
    stop();
  },

  async 'typing is signalled and ends'() {
    const heard = [];
    const stop = bobs.onTypingChanged((users) => heard.push(users.join()));
    await settled();
    await room.startTyping();
    await until(() => heard.includes('ann'), 'typing');
    await room.stopTyping();
    await until(() => heard.at(-1) === '', 'typing ended');
    stop();
  },

  async 'presence of a channel is known and announced'() {
    const heard = [];
    const stopWatching = room.onPresenceChanged((users) => heard.push(users.join()));
    await settled();
    const leave = bobs.onMessageReceived(() => {});
    await until(() => room.isPresent('bob'), 'bob is present');
    assert.ok((await room.whoIsPresent()).includes('bob'));
    assert.ok((await (await ann.getUser('bob')).wherePresent()).includes('room'));
    await until(() => heard.some((users) => users.includes('bob')), 'presence is announced');
    leave();
    await until(async () => !(await room.isPresent('bob')), 'bob is gone');
    stopWatching();
  },

  async 'unread messages are counted'() {
    const membership = await bob.currentUser.getMembership('room');
    const { messages } = await bobs.getHistory({ count: 1 });
    const read = await membership.setLastReadMessage(messages[0]);
    assert.equal(await read.getUnreadMessagesCount(), 0);
    await room.sendText('new');
    assert.equal(await read.getUnreadMessagesCount(), 1);
    assert.ok((await bob.getUnreadMessagesCounts()).some((entry) => entry.channel.id === 'room' && entry.count === 1));
  },

  async 'pins and moderation use the same endpoints'() {
    const { timetoken } = await room.sendText('parent');
    const message = await room.getMessage(String(timetoken));
    await message.pin();
    const pinned = await (await ann.getChannel('room')).getPinnedMessage();
    assert.equal(pinned.text, 'parent');
    const moderator = await Chat.init({ ...keys, userId: 'moderator', secretKey: 'sec' });
    await moderator.setRestrictions('bob', 'room', { mute: true, reason: 'loud' });
    const restrictions = await (await ann.getChannel('room')).getUserRestrictions(await ann.getUser('bob'));
    assert.equal(restrictions.mute, true);
    const { memberships } = await bob.currentUser.getMemberships();
    assert.ok(memberships.every((item) => !item.channel.id.startsWith('PUBNUB_INTERNAL_MODERATION_')));
  },

  async 'invitations, mentions and read receipts are delivered'() {
    const invited = [];
    const mentioned = [];
    const receipts = [];
    const stops = [
      bob.currentUser.onInvited((invite) => invited.push(invite)),
      bob.currentUser.onMentioned((mention) => mentioned.push(mention)),
      room.onReadReceiptReceived((receipt) => receipts.push(receipt)),
    ];
    const { channel } = await ann.createGroupConversation({ users: [], channelId: 'club', channelData: { name: 'Club' } });
    await settled();
    await channel.invite(await ann.getUser('bob'));
    await until(() => invited.length, 'the invitation');
    const draft = room.createMessageDraft();
    draft.update('hi @bob');
    draft.addMention(3, 4, 'mention', 'bob');
    await draft.send();
    await until(() => mentioned.length, 'the mention');
    assert.equal((await bob.getCurrentUserMentions()).mentions.length, 1);
    await (await bob.currentUser.getMembership('room')).setLastReadMessageTimetoken(
      String((await room.sendText('read me')).timetoken),
    );
    await until(() => receipts.length, 'the receipt');
    await bob.markAllMessagesAsRead();
    assert.ok((await bob.getUnreadMessagesCounts()).every((entry) => entry.count === 0));
    stops.forEach((stop) => stop());
  },

  async 'a thread is opened, filled and removed'() {
    const { timetoken } = await room.sendText('parent');
    const parent = () => room.getMessage(String(timetoken));
    await (await parent()).createThread('first');
    const thread = await (await parent()).getThread();
    await thread.sendText('second');
    assert.deepEqual((await thread.getHistory()).messages.map((message) => message.text), ['first', 'second']);
    assert.equal((await parent()).hasThread, true);
    await (await parent()).removeThread();
    assert.equal((await parent()).hasThread, false);
  },

  async 'a channel group brings the messages of its channels'() {
    const group = ann.getChannelGroup('rooms');
    await group.addChannels([room]);
    assert.deepEqual((await group.listChannels()).channels.map((channel) => channel.id), ['room']);
    const heard = [];
    const stop = group.onMessageReceived((message) => heard.push(message.text));
    await settled();
    await room.sendText('to the group');
    await until(() => heard.includes('to the group'), 'the message');
    stop();
    await ann.removeChannelGroup('rooms');
  },

  async 'a channel is deleted'() {
    await (await ann.getChannel('lobby')).delete();
    assert.equal(await bob.getChannel('lobby'), null);
  },
});
