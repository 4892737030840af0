// go-stomp over coder/websocket: sends each line you type to the room with user 2 and prints what is written there. It shows
// refusals, comes back after a lost connection without missing or repeating anything, and stays away when the service has
// ended its session.
package main

import (
	"bufio"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/coder/websocket"
	"github.com/go-stomp/stomp/v3"
)

var (
	token = os.Getenv("TOKEN")
	api   = setting("API", "http://127.0.0.1:7071")
	chat  = setting("CHAT", "ws://127.0.0.1:8080/client/hubs/chat")
)

type outgoing struct {
	RoomID          int64  `json:"roomId"`
	Content         string `json:"content"`
	ClientMessageID string `json:"clientMessageId"`
}

type incoming struct {
	Seq             int64
	SenderNickname  string
	Content         string
	ClientMessageID any // another client's can be a number
}

// problem is what an ERROR frame and a refusal say.
type problem struct {
	Code            string
	Message         string
	RetryAfter      int
	ClientMessageID any
}

// passes tells whether the same can be sent again.
func (p problem) passes() bool { return p.Code == "UNAVAILABLE" || p.Code == "RATE_LIMIT_EXCEEDED" }

// client is what outlives a connection.
type client struct {
	roomID  int64
	lastSeq int64      // of the last message that was printed
	unshown []outgoing // what has not come back from the room yet
	lines   chan string
}

func main() {
	roomID, err := openRoom()
	if err != nil {
		say("no room, is TOKEN set? %v", err)
		os.Exit(1)
	}
	c := &client{roomID: roomID, lines: make(chan string)}
	go readLines(c.lines)
	for pause := time.Second; ; pause = min(pause*2, 30*time.Second) {
		conn, err := connect()
		if err == nil {
			say("connected")
			pause = time.Second
			err = c.use(conn)
			conn.MustDisconnect()
		}
		if isFinal(err) {
			os.Exit(1)
		}
		say("not connected, trying again: %v", err)
		time.Sleep(pause)
	}
}

func connect() (*stomp.Conn, error) {
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	// A token that can run out belongs here: ask for a new one each time.
	socket, _, err := websocket.Dial(ctx, chat+"?token="+token, nil)
	if err != nil {
		return nil, err
	}
	stream := websocket.NetConn(context.Background(), socket, websocket.MessageText)
	return stomp.ConnectWithContext(ctx, stream,
		// The service sends something at least once a minute, so that a dead network is noticed soon after one.
		stomp.ConnOpt.HeartBeat(0, time.Minute), stomp.ConnOpt.HeartBeatError(10*time.Second),
		// A frame above the buffer's size is sent in pieces, and one that ends within a character is no WebSocket text.
		// go-stomp takes the size of both buffers from the first of these.
		stomp.ConnOpt.ReadBufferSize(128*1024), stomp.ConnOpt.WriteBufferSize(128*1024))
}

// use serves a connection until it is lost; then each subscription gets a message with an Err.
func (c *client) use(conn *stomp.Conn) error {
	// First, so that the others' refusals come there.
	refusals, err := conn.Subscribe("/user/queue/errors", stomp.AckAuto)
	if err != nil {
		return err
	}
	session, err := conn.Subscribe("/user/queue/session", stomp.AckAuto)
	if err != nil {
		return err
	}
	// What was written since the last printed message comes first; at the very first time the last 200.
	lastSeq := stomp.SubscribeOpt.Header("last-seq", strconv.FormatInt(c.lastSeq, 10))
	room, err := conn.Subscribe("/sub/chat/room/"+strconv.FormatInt(c.roomID, 10), stomp.AckAuto, lastSeq)
	if err != nil {
		return err
	}
	err = c.sendAgain(conn)
	var retry <-chan time.Time
	for err == nil {
		select {
		case line := <-c.lines:
			c.unshown = append(c.unshown, outgoing{c.roomID, line, rand.Text()})
			err = c.send(conn, c.unshown[len(c.unshown)-1])
		case <-retry:
			err = c.sendAgain(conn)
		case message := <-room.C:
			err = c.print(message)
		case message := <-refusals.C:
			retry, err = c.refused(message, retry)
		case message := <-session.C:
			err = sessionEnded(message)
		}
	}
	return err
}

// send asks for no RECEIPT: go-stomp locks its connection until one comes, and a refused message gets none. That a message is
// stored is seen by its coming back.
func (c *client) send(conn *stomp.Conn, message outgoing) error {
	body, err := json.Marshal(message)
	if err != nil {
		return err
	}
	return conn.Send("/pub/chat/message", "application/json", body)
}

// sendAgain repeats what may have been lost. With the same clientMessageId it is stored once.
func (c *client) sendAgain(conn *stomp.Conn) error {
	for _, message := range c.unshown {
		if err := c.send(conn, message); err != nil {
			return err
		}
	}
	return nil
}

func (c *client) done(clientMessageID any) {
	c.unshown = slices.DeleteFunc(c.unshown, func(message outgoing) bool {
		return message.ClientMessageID == clientMessageID
	})
}

func (c *client) print(message *stomp.Message) error {
	if message.Err != nil {
		return message.Err
	}
	var shown incoming
	if err := json.Unmarshal(message.Body, &shown); err != nil {
		return err
	}
	c.done(shown.ClientMessageID)
	if shown.Seq <= c.lastSeq {
		return nil
	}
	if _, gap := message.Header.Contains("gap"); gap {
		say("more than 200 were missed: the history has the others")
	}
	c.lastSeq = shown.Seq
	fmt.Printf("%s: %s\n", shown.SenderNickname, shown.Content)
	return nil
}

// refused says when to send again.
func (c *client) refused(message *stomp.Message, retry <-chan time.Time) (<-chan time.Time, error) {
	if message.Err != nil {
		return nil, message.Err
	}
	var p problem
	if err := json.Unmarshal(message.Body, &p); err != nil {
		return nil, err
	}
	say("refused: %s %s", p.Code, p.Message)
	if !p.passes() {
		c.done(p.ClientMessageID)
		return retry, nil
	}
	if p.ClientMessageID == nil { // the room's SUBSCRIBE
		return nil, errors.New(p.Code)
	}
	return time.After(time.Duration(max(p.RetryAfter, 1)) * time.Second), nil
}

func sessionEnded(message *stomp.Message) error {
	if message.Err != nil {
		return message.Err
	}
	var closed struct{ Reason string }
	err := json.Unmarshal(message.Body, &closed)
	say("session ended: %s", closed.Reason)
	return err
}

// isFinal looks for an ERROR frame, the service's last word before it closes. After SESSION_CLOSED (another device has the
// place, or a logout) coming back would only end the other one; and what else comes here would come again, unless it passes.
func isFinal(err error) bool {
	var failed *stomp.Error // on a subscription
	var refused stomp.Error // instead of CONNECTED
	if errors.As(err, &refused) {
		failed = &refused
	} else if !errors.As(err, &failed) {
		return false
	}
	var p problem
	if failed.Frame == nil || json.Unmarshal(failed.Frame.Body, &p) != nil {
		return false // not from the service: go-stomp tells a lost connection in the same way
	}
	say("closed: %s %s", p.Code, p.Message)
	return !p.passes()
}

func openRoom() (int64, error) {
	request, err := http.NewRequest("POST", api+"/api/v1/chat/rooms", strings.NewReader(`{"targetUserId":2}`))
	if err != nil {
		return 0, err
	}
	request.Header.Set("Authorization", "Bearer "+token)
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return 0, err
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		return 0, err
	}
	if response.StatusCode >= 300 {
		return 0, errors.New(string(body))
	}
	var room struct{ RoomID int64 }
	err = json.Unmarshal(body, &room)
	return room.RoomID, err
}

func readLines(lines chan<- string) {
	input := bufio.NewScanner(os.Stdin)
	for input.Scan() {
		lines <- input.Text()
	}
}

func say(format string, values ...any) { fmt.Fprintf(os.Stderr, format+"\n", values...) }

func setting(name, usual string) string {
	if value := os.Getenv(name); value != "" {
		return value
	}
	return usual
}
